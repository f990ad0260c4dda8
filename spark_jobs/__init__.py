"""Tables in, tables or shards out: the data pipeline as Spark jobs over Delta tables."""
