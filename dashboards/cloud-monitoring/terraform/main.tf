# Loads the same JSON files as `lastcall gcp`. Use one of the two in a project: `lastcall gcp` leaves alone what it
# did not make, and says so.

locals {
  files = abspath("${path.module}/..")

  # Every file's text for the chosen resource, by its name without the ending. Not a template: "${...}" in the files
  # is for the dashboards.
  texts = {
    for kind in ["log-metrics", "alerts", "dashboards"] : kind => {
      for file in fileset("${local.files}/${kind}", "*.json") :
      trimsuffix(file, ".json") => replace(
        file("${local.files}/${kind}/${file}"),
        "monitored_resource=\\\"cloud_run_revision\\\"",
        "monitored_resource=\\\"${var.resource_type}\\\"",
      )
      if var.reads == "both" || startswith(file, "otlp-") == (var.reads == "otlp")
    }
  }

  log_metrics = { for name, text in local.texts["log-metrics"] : name => jsondecode(text) }
  alerts      = { for name, text in local.texts["alerts"] : name => jsondecode(text) }
}

resource "google_logging_metric" "this" {
  for_each = local.log_metrics

  project         = var.project
  name            = "lastcall/${each.key}"
  description     = each.value.description
  filter          = each.value.filter
  value_extractor = try(each.value.valueExtractor, null)

  metric_descriptor {
    metric_kind = each.value.metricDescriptor.metricKind
    value_type  = each.value.metricDescriptor.valueType
    unit        = each.value.metricDescriptor.unit

    dynamic "labels" {
      for_each = each.value.metricDescriptor.labels
      content {
        key        = labels.value.key
        value_type = labels.value.valueType
      }
    }
  }

  label_extractors = each.value.labelExtractors

  dynamic "bucket_options" {
    for_each = try([each.value.bucketOptions.exponentialBuckets], [])
    content {
      exponential_buckets {
        num_finite_buckets = bucket_options.value.numFiniteBuckets
        growth_factor      = bucket_options.value.growthFactor
        scale              = bucket_options.value.scale
      }
    }
  }
}

resource "google_monitoring_alert_policy" "this" {
  for_each   = local.alerts
  depends_on = [google_logging_metric.this]

  project               = var.project
  display_name          = each.value.displayName
  severity              = each.value.severity
  combiner              = each.value.combiner
  notification_channels = var.notification_channels
  user_labels           = { managed_by = "terraform" }

  dynamic "conditions" {
    for_each = each.value.conditions
    content {
      display_name = conditions.value.displayName

      dynamic "condition_prometheus_query_language" {
        for_each = try([conditions.value.conditionPrometheusQueryLanguage], [])
        iterator = promql
        content {
          query                     = promql.value.query
          duration                  = promql.value.duration
          evaluation_interval       = promql.value.evaluationInterval
          rule_group                = promql.value.ruleGroup
          alert_rule                = promql.value.alertRule
          disable_metric_validation = promql.value.disableMetricValidation
        }
      }

      dynamic "condition_matched_log" {
        for_each = try([conditions.value.conditionMatchedLog], [])
        iterator = entry
        content {
          filter           = entry.value.filter
          label_extractors = entry.value.labelExtractors
        }
      }
    }
  }

  alert_strategy {
    auto_close = each.value.alertStrategy.autoClose

    dynamic "notification_rate_limit" {
      for_each = try([each.value.alertStrategy.notificationRateLimit], [])
      content {
        period = notification_rate_limit.value.period
      }
    }
  }

  documentation {
    content   = each.value.documentation.content
    mime_type = each.value.documentation.mimeType
    subject   = each.value.documentation.subject
  }
}

resource "google_monitoring_dashboard" "this" {
  for_each   = local.texts["dashboards"]
  depends_on = [google_logging_metric.this]

  project        = var.project
  dashboard_json = each.value
}
