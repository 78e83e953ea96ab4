"""The book's machinery: how the pages are executed, checked, built and dressed."""
