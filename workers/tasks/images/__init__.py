"""Images from files: MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100, and folders of pictures."""
