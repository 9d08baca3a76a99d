"""The package from Python: what `import alexnet` gives, by topic."""
