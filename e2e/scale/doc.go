// Package scale holds hosts with far more stores than a plugin keeps open to their promises: every read is answered, and
// neither the host nor the plugin grows.
package scale
