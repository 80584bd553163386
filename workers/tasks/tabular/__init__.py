"""Classification and regression on tables: CSV and Parquet files, and data sets of scikit-learn."""
