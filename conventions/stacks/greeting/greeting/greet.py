def greet(word, name):
    """A greeting as it is answered."""
    return f"{word or 'Good day'}, {name}!\n"
