"""Rules over the API: read, written with the same checks as on their page, tried, and what came of them."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.asked import LARGEST, Asked
from console.api.door import MISPUT, MISSING, REFUSED, Door, asked, find_job
from console.api.shapes import Moment, ParametersField, address
from console.api.versions import ETAG, STALE, VERSIONS, unless_stale, with_version
from jobs import clock
from jobs.errors import AmbiguousPipeline, BadParameters, UnknownPipeline, UnknownProject
from jobs.models import Firing, Pipeline, Rule
from jobs.models.rule import HANDLER
from jobs.rules.edit import delete_rule, save_rule
from jobs.rules.rehearse import try_rule
from jobs.runs.find import find_pipeline
from jobs.states import Correlate, Decision, Occasion, Wants
from jobs.structure.values import without_literals

LONGEST_NAME = 300


def named(pipeline: Pipeline) -> str:
    return f"{pipeline.project.name}/{pipeline.name}"


class RuleAsked(Asked):
    """A rule; pipelines are written “project/pipeline”, or by their name alone where one project has it."""

    name = serializers.CharField(max_length=120)
    is_enabled = serializers.BooleanField(default=True)
    sources = serializers.ListField(child=serializers.CharField(max_length=LONGEST_NAME), max_length=200, min_length=1)
    wants = serializers.ChoiceField(Wants.choices, default=Wants.ANY)
    outcome = serializers.ChoiceField(Occasion.choices, default=Occasion.SUCCEEDED)
    node = serializers.CharField(max_length=500, default="", allow_blank=True, help_text="For a side job: at its end.")
    correlate = serializers.ChoiceField(Correlate.choices, default=Correlate.ROOT)
    condition = serializers.CharField(
        max_length=2000, default="", allow_blank=True, help_text="JMESPath, true or false."
    )
    mapping = serializers.DictField(
        child=serializers.CharField(max_length=2000), default=dict, help_text="Parameter → JMESPath that computes it."
    )
    selection = serializers.JSONField(
        default=dict, help_text='Of the started pipeline, in the words of `kedro run`: {"tags": ["daily"]}.'
    )
    handler = serializers.RegexField(HANDLER, max_length=300, default="", allow_blank=True)
    target = serializers.CharField(max_length=LONGEST_NAME, help_text="The pipeline that it starts.")
    is_side_job = serializers.BooleanField(default=False)
    max_iterations = serializers.IntegerField(min_value=1, max_value=2**31 - 1, default=1000)
    max_per_hour = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)


class RuleShape(RuleAsked):
    """A rule as it is."""

    id = serializers.IntegerField(source="pk")
    url = serializers.SerializerMethodField(help_text="The rule's page.")
    sources = serializers.SerializerMethodField()  # type: ignore[assignment]
    target = serializers.SerializerMethodField()  # type: ignore[assignment]
    mapping = serializers.SerializerMethodField()  # type: ignore[assignment]
    created_at = Moment()
    edited_at = Moment()
    edited_by = serializers.SerializerMethodField()

    def get_url(self, rule: Rule) -> str:
        return address(self.context, rule.get_absolute_url())

    def get_sources(self, rule: Rule) -> list[str]:
        return [named(source) for source in rule.sources.all()]

    def get_mapping(self, rule: Rule) -> dict[str, str]:
        return without_literals(rule.mapping, rule.target.secret_parameters)

    def get_target(self, rule: Rule) -> str:
        return named(rule.target)

    def get_edited_by(self, rule: Rule) -> str:
        return rule.edited_by.get_username() if rule.edited_by else ""


class TestAsked(Asked):
    job = serializers.CharField(max_length=60, help_text="The id or number of a past job.")


class TrialShape(serializers.Serializer[Any]):
    """What the rule would have done with that job; nothing was started, and a handler is not asked."""

    would_start = serializers.BooleanField()
    reason = serializers.CharField()
    condition = serializers.JSONField(allow_null=True)
    parameters = ParametersField()
    missing = serializers.ListField(child=serializers.CharField(), help_text="Computed to nothing, and left out.")
    problems = serializers.DictField(child=serializers.CharField())


class FiringsAsked(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=500, default=50)
    before = serializers.IntegerField(min_value=1, max_value=LARGEST, default=None, help_text="Older than this id.")
    decision = serializers.ChoiceField(Decision.choices, default="")


class FiringShape(serializers.Serializer[Any]):
    """One time that the rule fired; `started_job` is null where nothing was started."""

    id = serializers.IntegerField(source="pk")
    at = Moment()
    job = serializers.UUIDField(source="ended.uuid", help_text="The job after whose end it fired.")
    node = serializers.CharField(help_text="Empty: the job's end.")
    decision = serializers.ChoiceField(Decision.choices)
    sentence = serializers.CharField()
    parameters = ParametersField()
    is_side_job = serializers.BooleanField()
    started_job = serializers.UUIDField(source="started.uuid", allow_null=True, default=None)


def rules() -> Any:
    return Rule.objects.select_related("target__project", "edited_by").prefetch_related("sources__project")


def find_rule(pk: int) -> Rule:
    found: Rule | None = rules().filter(pk=pk).first()
    if found is None:
        raise Http404(f"There is no rule {pk}: `GET /api/v1/rules` lists them.")
    return found


def _one(rule: Rule, request: Request, status: int = 200) -> Response:
    return with_version(Response(RuleShape(rule, context={"request": request}).data, status=status), rule)


def _pipeline(name: str, field: str) -> Pipeline:
    try:
        return find_pipeline(name)
    except (UnknownPipeline, UnknownProject, AmbiguousPipeline) as error:
        raise BadParameters({field: str(error)}) from error


def _written(rule: Rule, given: dict[str, Any], request: Request) -> Rule:
    """Save what was sent; what was not stays as it is."""
    named_sources = given.pop("sources", None)
    sources = (
        list(rule.sources.all()) if named_sources is None else [_pipeline(name, "sources") for name in named_sources]
    )
    if "target" in given:
        given["target"] = _pipeline(given["target"], "target")
    by = request.user if request.user.is_authenticated and request.user.pk else None
    save_rule(rule, sources, at=clock.now(), by=by, **given)
    return find_rule(rule.pk)


class Rules(Door):
    needs = {"GET": "jobs.view_rule", "POST": "jobs.add_rule"}

    @extend_schema(operation_id="rules_list", responses={200: RuleShape(many=True), **REFUSED})
    def get(self, request: Request) -> Response:
        """All rules, by name."""
        return Response(RuleShape(rules().order_by("name"), many=True, context={"request": request}).data)

    @extend_schema(operation_id="rules_create", request=RuleAsked, responses={201: RuleShape, **REFUSED, **MISPUT})
    def post(self, request: Request) -> Response:
        """A new rule, tried with a past job first where there is one."""
        given = RuleAsked(data=request.data)
        given.is_valid(raise_exception=True)
        rule = _written(Rule(), dict(given.validated_data), request)
        return _one(rule, request, 201)


class OneRule(Door):
    needs = {"GET": "jobs.view_rule", "PATCH": "jobs.change_rule", "DELETE": "jobs.delete_rule"}

    @extend_schema(operation_id="rules_get", parameters=[ETAG], responses={200: RuleShape, **REFUSED, **MISSING})
    def get(self, request: Request, rule: int) -> Response:
        """One rule."""
        return _one(find_rule(rule), request)

    @extend_schema(
        operation_id="rules_update",
        request=RuleAsked(partial=True),
        parameters=VERSIONS,
        responses={200: RuleShape, **REFUSED, **MISSING, **STALE, **MISPUT},
    )
    def patch(self, request: Request, rule: int) -> Response:
        """Change what is sent; the whole rule is checked and tried again."""
        row = find_rule(rule)
        given = RuleAsked(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        with unless_stale(row, request):
            row = _written(find_rule(rule), dict(given.validated_data), request)
        return _one(row, request)

    @extend_schema(
        operation_id="rules_delete", responses={204: OpenApiResponse(description="Gone."), **REFUSED, **MISSING}
    )
    def delete(self, request: Request, rule: int) -> Response:
        """Delete it; its firings and what they started stay."""
        delete_rule(find_rule(rule))
        return Response(status=204)


class TestRule(Door):
    needs = {"POST": "jobs.test_rule"}

    @extend_schema(
        operation_id="rules_test", request=TestAsked, responses={200: TrialShape, **REFUSED, **MISSING, **MISPUT}
    )
    def post(self, request: Request, rule: int) -> Response:
        """What it would do with a past job, without starting anything."""
        row = find_rule(rule)
        given = TestAsked(data=request.data)
        given.is_valid(raise_exception=True)
        trial = try_rule(row, find_job(given.validated_data["job"]), clock.now())
        return Response(TrialShape(trial).data)


class Firings(Door):
    needs = {"GET": "jobs.view_firing"}

    @extend_schema(
        operation_id="rules_firings",
        parameters=[FiringsAsked],
        responses={200: FiringShape(many=True), **REFUSED, **MISSING, **MISPUT},
    )
    def get(self, request: Request, rule: int) -> Response:
        """The rule's firings, the newest first."""
        wanted = asked(FiringsAsked, request)
        rows = Firing.objects.filter(rule=find_rule(rule)).newest().before(wanted["before"])
        if wanted["decision"]:
            rows = rows.filter(decision=wanted["decision"])
        return Response(FiringShape(rows[: wanted["limit"]], many=True).data)
