"""The whole of Anju on one machine, with invented people."""
