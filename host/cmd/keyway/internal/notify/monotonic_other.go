//go:build !linux

package notify

func monotonic() string { return "" }
