package sandbox

// legacy are older forms of the denied calls: this architecture has none.
var legacy []uint32
