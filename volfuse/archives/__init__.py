"""Reading archives of strangers: compression, tar. What an entry may do is the business of the caller."""
