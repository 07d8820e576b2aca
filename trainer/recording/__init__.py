"""What a recorder keeps of an epoch: columns, images, where it came from."""
