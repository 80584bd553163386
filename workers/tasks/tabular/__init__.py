"""Tables from CSV and Parquet files, or those that come with scikit-learn: classification and regression."""
