package sandbox

import (
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// grant is one path with what is allowed on it, and beneath it when it is a directory.
type grant struct {
	path   string
	rights uint64
}

// certificates are where distributions keep the certificates of authorities.
var certificates = []string{"/etc/ssl", "/etc/pki", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"}

// resolver is what finding addresses by name reads.
var resolver = []string{"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"}

// dnsPort is open to a process with sockets of its own.
const dnsPort = 53

// grants are the paths of a policy. Nothing under /proc: what is granted there is the host's, and Go does without.
func grants(p Policy) []grant {
	out := []grant{{"/dev/null", deviceRights}, {"/dev/urandom", readRights}}
	add := func(rights uint64, paths ...string) {
		for _, path := range paths {
			out = append(out, grant{path, rights})
		}
	}
	add(readRights, certificates...)
	for _, path := range p.Read {
		add(readRights, stable(path)...)
	}
	if p.Network == Direct {
		for _, path := range resolver {
			add(readRights, stable(path)...)
		}
	}
	add(writeRights, p.Write...)
	add(execRights, p.Execute...)
	if p.Socket != "" {
		add(socketRights, p.Socket)
	}
	return out
}

// stable gives what stays the same when a file is replaced by a rename: rules are bound to inodes, so one for the file would
// end with it. Those are its directory and, for a symbolic link, that of its target.
func stable(path string) []string {
	paths := []string{around(path)}
	if target, err := filepath.EvalSymlinks(path); err == nil && target != filepath.Clean(path) {
		paths = append(paths, around(target))
	}
	return slices.Compact(paths)
}

// around is the directory that stands for a file; the path itself when it is no regular file, or when the directory holds
// more than what goes with the file: directly below the root, or a home.
func around(path string) string {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return path
	}
	dir := filepath.Dir(path)
	if strings.Count(dir, "/") < 2 || filepath.Dir(dir) == "/home" {
		return path
	}
	return dir
}

// ports are what a process with sockets of its own may use. A datagram socket takes a free port before it sends.
func ports(allowed []uint16) []portAttr {
	out := []portAttr{
		{unix.LANDLOCK_ACCESS_NET_CONNECT_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP, dnsPort},
		{unix.LANDLOCK_ACCESS_NET_BIND_UDP, 0},
	}
	for _, port := range allowed {
		out = append(out, portAttr{unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, uint64(port)})
	}
	return out
}
