package folder

import "os"

// lock locks nothing: the system does not let a folder be removed that is in use.
func lock(string) (*os.File, error) { return nil, nil }

// sweep leaves what dead makers left to the system's own cleaning.
func sweep(string, string) {}
