from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """As much work as Roadstead's (64 MiB, two passes, one lane); Django's own would be 100 MiB and eight threads."""

    time_cost = 2
    memory_cost = 64 * 1024
    parallelism = 1
