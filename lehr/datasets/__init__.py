"""The public data sets that tasks know by name: catalogue, locations and downloads."""

from lehr.datasets.catalogue import DATASETS as DATASETS
from lehr.datasets.catalogue import DEFAULT_DATA_DIR as DEFAULT_DATA_DIR
from lehr.datasets.catalogue import Dataset as Dataset
from lehr.datasets.catalogue import RemoteFile as RemoteFile
from lehr.datasets.catalogue import find_dataset as find_dataset
