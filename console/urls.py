from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("console.views.urls")),
    path("api/v1/", include("console.api.urls")),
    path("admin/", admin.site.urls),
]
