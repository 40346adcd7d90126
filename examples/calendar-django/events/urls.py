"""The addresses of the calendar."""

from django.urls import path

from . import live, views

urlpatterns = [
    path("", views.month, name="home"),
    path("month/<int:year>/<int:month>", views.month, name="month"),
    path("agenda", views.Agenda.as_view(), name="agenda"),
    path("events/new", views.NewEvent.as_view(), name="new-event"),
    path("events/<int:pk>", views.ShowEvent.as_view(), name="event"),
    path("events/<int:pk>/edit", views.EditEvent.as_view(), name="edit-event"),
    path("events/<int:pk>/delete", views.DeleteEvent.as_view(), name="delete-event"),
    path("sign-in", views.SignIn.as_view(), name="sign-in"),
    path("sign-out", views.sign_out, name="sign-out"),
    path("live", live.stream, name="live"),
    path("up", views.up, name="up"),
]
