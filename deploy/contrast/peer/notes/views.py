from rest_framework.generics import CreateAPIView
from rest_framework.serializers import ModelSerializer
from rest_framework_simplejwt.authentication import JWTStatelessUserAuthentication

from .models import Note


class NoteSerializer(ModelSerializer):
    class Meta:
        model = Note
        fields = ["id", "title", "body", "created_at", "updated_at"]


class CreateNote(CreateAPIView):
    """One INSERT: as with Roadstead, the token says who owns the note, and nobody is read."""

    authentication_classes = [JWTStatelessUserAuthentication]
    serializer_class = NoteSerializer

    def perform_create(self, serializer):
        serializer.save(owner_id=self.request.user.id)
