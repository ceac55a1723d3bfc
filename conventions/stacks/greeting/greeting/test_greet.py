import unittest

from greet import greet


class Greeting(unittest.TestCase):
    def test_it_names_who_is_greeted(self):
        self.assertEqual(greet("Hello", "Ann"), "Hello, Ann!\n")

    def test_without_a_word_there_is_still_a_greeting(self):
        self.assertEqual(greet(None, "Ann"), "Good day, Ann!\n")
