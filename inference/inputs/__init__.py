"""What people point at to pictures: files, folders, lists of URLs, shards."""
