"""Images from files: MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100."""
