"""Row for row: what each table holds against what it was made from, what differs and since when, and its repair."""
