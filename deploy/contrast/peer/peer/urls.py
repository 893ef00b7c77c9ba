from django.urls import path
from notes.views import CreateNote
from rest_framework_simplejwt.views import TokenObtainPairView

from . import views

urlpatterns = [
    path("health/live", views.live),
    path("api/v1/drill/whoami", views.WhoAmI.as_view()),
    path("api/v1/drill/sleep", views.sleep),
    path("api/v1/me", views.Me.as_view()),
    path("api/v1/notes", CreateNote.as_view()),
    path("api/token/", TokenObtainPairView.as_view()),
]
