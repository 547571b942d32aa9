from django.urls import path, re_path

from console.api import artifacts, health, jobs, pipelines, records, requests, schema, workers

app_name = "api"
urlpatterns = [
    path("jobs", jobs.Jobs.as_view(), name="jobs"),
    path("jobs/<str:job>", jobs.Job.as_view(), name="job"),
    path("jobs/<str:job>/cancel", jobs.Cancel.as_view(), name="job_cancel"),
    path("jobs/<str:job>/retry", jobs.Retry.as_view(), name="job_retry"),
    path("jobs/<str:job>/resume", jobs.Resume.as_view(), name="job_resume"),
    path("jobs/<str:job>/nodes", records.Nodes.as_view(), name="job_nodes"),
    path("jobs/<str:job>/logs", records.Logs.as_view(), name="job_logs"),
    path("jobs/<str:job>/events", records.Events.as_view(), name="job_events"),
    path("jobs/<str:job>/artifacts", records.Artifacts.as_view(), name="job_artifacts"),
    path("jobs/<str:job>/requests", requests.JobRequests.as_view(), name="job_requests"),
    path("requests", requests.Requests.as_view(), name="requests"),
    path("requests/replay", requests.ReplayRequests.as_view(), name="requests_replay"),
    path("requests/dismiss", requests.DismissRequests.as_view(), name="requests_dismiss"),
    path("requests/<int:pk>", requests.OneRequest.as_view(), name="request"),
    path("replays/<int:pk>", requests.OneReplay.as_view(), name="replay"),
    path("artifacts/latest", artifacts.Latest.as_view(), name="artifact_latest"),
    path("artifacts/<uuid:artifact>/download", artifacts.Download.as_view(), name="artifact_download"),
    path("pipelines", pipelines.Pipelines.as_view(), name="pipelines"),
    path("pipelines/<str:project>/<str:name>", pipelines.PipelineOfProject.as_view(), name="pipeline"),
    path("projects", pipelines.Projects.as_view(), name="projects"),
    path("workers", workers.Workers.as_view(), name="workers"),
    path("workers/<str:worker>", workers.OneWorker.as_view(), name="worker"),
    path("health", health.Health.as_view(), name="health"),
    path("openapi.json", schema.Document.as_view(), name="openapi"),
    path("docs", schema.Page.as_view(), name="docs"),
    re_path(r"", schema.NotHere.as_view(), name="not_here"),
]
