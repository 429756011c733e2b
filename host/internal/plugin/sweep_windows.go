package plugin

import "os"

// lockFolder locks nothing: the system does not let a directory be removed that is in use.
func lockFolder(string) (*os.File, error) { return nil, nil }

// sweep leaves what dead hosts left to the system's own cleaning.
func sweep(string, string) {}
