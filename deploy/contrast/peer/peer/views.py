import time

from django.http import HttpResponse, HttpResponseBadRequest
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTStatelessUserAuthentication


def live(request):
    return HttpResponse(b'{"state":"live"}', content_type="application/json")


def sleep(request):
    ms = request.GET.get("ms", "")
    if not ms.isdecimal():
        return HttpResponseBadRequest()
    time.sleep(int(ms) / 1000)
    return HttpResponse(status=204)


class WhoAmI(APIView):
    """Signed in, and no query: https://django-rest-framework-simplejwt.readthedocs.io/en/stable/stateless_user_authentication.html"""

    authentication_classes = [JWTStatelessUserAuthentication]

    def get(self, request):
        return Response({"id": request.user.id})


class Me(APIView):
    """Signed in; the user that the authentication reads is the answer, so this is one query."""

    def get(self, request):
        return Response({"id": request.user.id, "email": request.user.email})
