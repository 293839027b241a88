output "dashboards" {
  description = "The dashboards' resource names, by file."
  value       = { for name, board in google_monitoring_dashboard.this : name => board.id }
}

output "alert_policies" {
  description = "The alert policies' resource names, by file."
  value       = { for name, policy in google_monitoring_alert_policy.this : name => policy.name }
}
