variable "project" {
  description = "The project's id."
  type        = string
}

variable "reads" {
  description = "What dashboards and alerts read: \"logs\" (log entries), \"otlp\" (OpenTelemetry metrics) or \"both\"."
  type        = string
  default     = "logs"

  validation {
    condition     = contains(["logs", "otlp", "both"], var.reads)
    error_message = "reads must be \"logs\", \"otlp\" or \"both\"."
  }
}

variable "resource_type" {
  description = "The monitored resource the services run on. PromQL cannot read a log-based metric without naming it."
  type        = string
  default     = "cloud_run_revision"
}

variable "notification_channels" {
  description = "Where alerts go: names of the form projects/PROJECT/notificationChannels/ID."
  type        = list(string)
  default     = []
}
