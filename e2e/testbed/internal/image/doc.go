// Package image assembles the container images that Flywheel runs, without a
// builder or a registry: files of this machine become an archive whose digest
// follows from its contents alone, and containerd imports it.
//
// What is in each image stands in recipes.go; archive.go and layer.go know the
// format and nothing of Flywheel. e2e/images has the program of the pause
// image and a Containerfile with the same contents for those who have a builder.
package image
