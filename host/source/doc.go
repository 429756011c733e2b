// Package source reads what the host reads by itself, before any plugin runs: environment variables, files below named
// folders, the credentials of a systemd service, and identity tokens of the place we run at. The first secret, which opens
// the first store, has to come from here. A plugin never sees any of it, except as the setting that names it.
package source
