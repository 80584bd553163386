"""The catalogue of public data sets, used by the command line and by the workers' tasks.

Checksums are those of the published files: for CIFAR, MNIST and Fashion-MNIST from torchvision, Keras and TensorFlow
Datasets, for tiny Shakespeare computed from the file. A file without a checksum is downloaded
unverified, with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lehr.errors import Fault, InvalidValueError, suggest

DEFAULT_DATA_DIR = Path("lehr-data/datasets")
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""The folder of Debian's package dataset-fashion-mnist."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A published file. `sha256`: the checksum of the published file; None if none is published.

    `members`: the files to extract from a tar archive; empty for a file that is kept as it is.
    """

    name: str
    size_bytes: int
    sha256: str | None
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set. `folders`: where tasks search for it, in order, relative to the data folder or absolute.

    It is downloaded into the first of them. `layouts`: sets of file names, each of which is the whole data set.
    """

    name: str
    title: str
    page: str
    url: str
    files: tuple[RemoteFile, ...]
    folders: tuple[str | Path, ...]
    layouts: tuple[tuple[str, ...], ...]
    otherwise: str

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def places(self, data_dir: Path) -> list[Path]:
        """All folders that are searched."""
        return [data_dir / folder for folder in self.folders]

    def find(self, data_dir: Path) -> Path | None:
        """The first folder that contains all files of a layout; None if there is none."""
        for folder in self.places(data_dir):
            if any(all((folder / name).is_file() for name in layout) for layout in self.layouts):
                return folder
        return None

    @property
    def remedy(self) -> str:
        return f"`lehr data get {self.name}` fetches it where there is a network. {self.otherwise}"


_FOUR = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_IDX_LAYOUTS = (tuple(f"{name}.gz" for name in _FOUR), _FOUR)
_BY_HAND = f"Or put the four files {', '.join(_FOUR[:3])} and {_FOUR[3]} into one of these folders, plain or as .gz"
_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_CIFAR_PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"


def _four_files(*facts: tuple[int, str]) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(f"{name}.gz", *fact) for name, fact in zip(_FOUR, facts, strict=True))


_ENTRIES = (
    Dataset(
        "mnist",
        "MNIST: 70,000 handwritten digits, 28×28",
        "http://yann.lecun.com/exdb/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        _four_files(
            (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
        ("mnist", "mnist/raw", "MNIST/raw"),
        _IDX_LAYOUTS,
        f"{_BY_HAND}: from http://yann.lecun.com/exdb/mnist or one of its mirrors.",
    ),
    Dataset(
        "fashion_mnist",
        "Fashion-MNIST: 70,000 pieces of clothing, 28×28",
        "https://github.com/zalandoresearch/fashion-mnist",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        _four_files(
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
        ("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", DEBIAN_FASHION_MNIST),
        _IDX_LAYOUTS,
        "Or install Debian's package dataset-fashion-mnist. "
        f"{_BY_HAND}: from https://github.com/zalandoresearch/fashion-mnist.",
    ),
    Dataset(
        "cifar10",
        "CIFAR-10: 60,000 photographs of ten kinds, 32×32",
        _CIFAR_PAGE,
        _CIFAR_URL,
        (
            RemoteFile(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                tuple(f"cifar-10-batches-bin/{name}.bin" for name in (*_BATCHES, "test_batch")),
            ),
        ),
        ("cifar10", "cifar-10-batches-bin", "cifar-10-batches-py"),
        (tuple(f"{name}.bin" for name in (*_BATCHES, "test_batch")), (*_BATCHES, "test_batch")),
        f"Or unpack cifar-10-binary.tar.gz or cifar-10-python.tar.gz from {_CIFAR_PAGE} in the data folder.",
    ),
    Dataset(
        "cifar100",
        "CIFAR-100: 60,000 photographs of a hundred kinds, 32×32",
        _CIFAR_PAGE,
        _CIFAR_URL,
        (
            RemoteFile(
                "cifar-100-binary.tar.gz",
                168_513_733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                ("cifar-100-binary/train.bin", "cifar-100-binary/test.bin"),
            ),
        ),
        ("cifar100", "cifar-100-binary", "cifar-100-python"),
        (("train.bin", "test.bin"), ("train", "test")),
        f"Or unpack cifar-100-binary.tar.gz or cifar-100-python.tar.gz from {_CIFAR_PAGE} in the data folder.",
    ),
    Dataset(
        "tinyshakespeare",
        "tiny Shakespeare: 1.1 MB of plays",
        "https://github.com/karpathy/char-rnn",
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",
        (RemoteFile("input.txt", 1_115_394, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),),
        ("tinyshakespeare",),
        (("input.txt",),),
        "Or put its file input.txt there: from https://github.com/karpathy/char-rnn, data/tinyshakespeare.",
    ),
)
DATASETS: Mapping[str, Dataset] = {dataset.name: dataset for dataset in _ENTRIES}


def find_dataset(name: str) -> Dataset:
    """The data set of this name. Raises InvalidValueError if it is not in the catalogue."""
    if name not in DATASETS:
        known = ", ".join(DATASETS)
        raise InvalidValueError(
            Fault("NAME", "no such data set", f"one of {known}", name, suggest(name, DATASETS, "one"))
        )
    return DATASETS[name]
