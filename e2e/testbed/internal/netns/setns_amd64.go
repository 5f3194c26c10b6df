package netns

// The syscall package's table for amd64 was frozen before setns came.
const sysSetns = 308
