"""X-ray sets: DICOM (CR and DX) and PNG images with labels.

`files.check_file` validates one file, cheapest checks first: head, de-identification, pixels. `sets.check_set` compares
what the files' summaries say. No text of a DICOM element leaves this package: findings name the tag, the VR, the length
and a salted hash. The extra `imaging` has the decoders; nothing here imports them before a file needs them.
"""
