"""Tables from CSV files, or those that come with scikit-learn: classification and regression."""
