"""The password hasher of the tests: that of the settings with its cheapest parameters."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2Hasher(Argon2PasswordHasher):
    """Argon2 that takes a millisecond where the real parameters take fifty."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1
