import os

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

NAME = "contrast@example.org"


class Command(BaseCommand):
    help = "Makes the account that signs in, with the password of CONTRAST_PASSWORD, or gives it that password."

    def handle(self, *args, **options):
        password = os.environ.get("CONTRAST_PASSWORD")
        if not password:
            raise CommandError("CONTRAST_PASSWORD is empty: there is no default password")
        user, _ = User.objects.get_or_create(username=NAME, email=NAME)
        user.set_password(password)
        user.save()
