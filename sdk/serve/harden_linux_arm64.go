package serve

// forks are the older calls that start a process: this architecture has none.
var forks []uint32
