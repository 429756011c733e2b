//go:build unix && !linux

package early

import "syscall"

func replace(from, to int) error { return syscall.Dup2(from, to) }
