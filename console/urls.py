from django.contrib import admin
from django.urls import include, path

handler400 = "console.views.errors.not_sound"
handler403 = "console.views.errors.refused"
handler404 = "console.views.errors.not_found"

urlpatterns = [
    path("", include("console.views.urls")),
    path("api/v1/", include("console.api.urls")),
    path("admin/", admin.site.urls),
]
