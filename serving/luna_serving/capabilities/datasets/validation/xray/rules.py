"""Rules of X-ray sets. Ids are public: a rule that ends leaves its number unused."""

from typing import Final

from luna_serving.capabilities.datasets.validation.findings import Rule, Severity

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO
_EXPORT: Final = "Export the image again from its source system."

# Files and their heads.
NOT_AN_IMAGE: Final = Rule("DCM001", _E, "Neither DICOM nor PNG", "Upload images as DICOM (.dcm) or PNG.")
NO_MARK: Final = Rule(
    "DCM002",
    _E,
    "DICOM without its mark",
    "Write the file in the DICOM file format: preamble, `DICM`, file meta group.",
)
ACTIVE_PREAMBLE: Final = Rule(
    "DCM003", _E, "Preamble that another program would run or open", "Write 128 zero bytes as the preamble."
)
PREAMBLE: Final = Rule("DCM004", _W, "Preamble is not empty", "Write 128 zero bytes as the preamble.")
TRUNCATED: Final = Rule("DCM005", _E, "Truncated file or wrong length", f"Transfer the file again. {_EXPORT}")
META: Final = Rule("DCM006", _E, "File meta group is missing or wrong", _EXPORT)
SYNTAX: Final = Rule(
    "DCM007",
    _E,
    "Transfer syntax that is not accepted",
    "Convert to Explicit VR Little Endian, JPEG 2000 Lossless, JPEG-LS Lossless, RLE or JPEG Lossless, "
    "for example with `gdcmconv --raw`.",
)
DEFLATED: Final = Rule(
    "DCM008", _E, "Deflated transfer syntax", "Convert to Explicit VR Little Endian, for example with `dcmconv +te`."
)
RETIRED: Final = Rule("DCM009", _W, "Retired transfer syntax", "Convert to Explicit VR Little Endian.")
UNKNOWN_VR: Final = Rule("DCM010", _E, "Unknown value representation", _EXPORT)
STRUCTURE: Final = Rule("DCM011", _E, "Broken structure of elements or sequences", _EXPORT)
DEPTH: Final = Rule("DCM012", _E, "Sequences nested too deeply", "Remove the nested sequences: an image needs few.")
ELEMENTS: Final = Rule("DCM013", _E, "Too many elements", "Remove elements that do not describe the image.")
DUPLICATE: Final = Rule("DCM014", _E, "Duplicate element", "Keep one element of each tag.")
ORDER: Final = Rule("DCM015", _W, "Elements out of order", "Write the elements in ascending order of their tags.")
ODD: Final = Rule("DCM016", _W, "Value of odd length", "Pad values to an even length.")
TRAILING: Final = Rule("DCM017", _W, "Bytes after the data set", "Remove what follows the last element.")
SOP_CLASS: Final = Rule(
    "DCM018",
    _E,
    "Not a CR or DX image",
    "Upload Computed Radiography or Digital X-Ray images (for presentation) only.",
)
OTHER_XRAY: Final = Rule(
    "DCM019", _W, "Another kind of X-ray image", "Keep such images in a set of their own; train on one kind at a time."
)
MODALITY: Final = Rule("DCM020", _E, "Modality does not fit the SOP class", "Set Modality to CR or DX.")
REQUIRED: Final = Rule("DCM021", _E, "Required element is missing or empty", _EXPORT)
REQUIRED_DX: Final = Rule("DCM022", _W, "Element that a DX image requires is missing", _EXPORT)
VALUE: Final = Rule("DCM023", _E, "Value of the wrong form", _EXPORT)
PHOTOMETRIC: Final = Rule(
    "DCM024", _E, "Photometric interpretation that is not accepted", "Convert to MONOCHROME2 with one sample per pixel."
)
INVERTED: Final = Rule(
    "DCM025",
    _W,
    "MONOCHROME1: low values are bright",
    "Invert the pixels before training, or convert to MONOCHROME2; Luna's checks have inverted them.",
)
SAMPLES: Final = Rule("DCM026", _E, "More than one sample per pixel", "Convert to one grayscale sample per pixel.")
BITS: Final = Rule(
    "DCM027",
    _E,
    "Bit depths do not fit each other",
    "Set Bits Stored to at most Bits Allocated (8 or 16) and High Bit to Bits Stored - 1.",
)
SIGN: Final = Rule("DCM028", _W, "Signed pixels", "Check that your reader honours Pixel Representation.")
FRAMES: Final = Rule("DCM029", _E, "More than one frame", "Upload each frame as an image of its own.")
TOO_LARGE: Final = Rule(
    "DCM030", _E, "Image larger than the limit", "Crop or reduce the image to at most 33,554,432 pixels."
)
TOO_SMALL: Final = Rule("DCM031", _E, "Image of no use", "Upload the image in its original size.")
RESCALE: Final = Rule("DCM032", _E, "Rescale slope or intercept is not usable", _EXPORT)
SPACING: Final = Rule(
    "DCM033", _W, "Pixel spacing is missing or zero", "Keep Imager Pixel Spacing (0018,1164) if sizes matter to you."
)
UID: Final = Rule("DCM034", _E, "UID is not valid", "Write UIDs of digits and dots, at most 64 characters.")
PNG_STRUCTURE: Final = Rule("DCM035", _E, "Broken PNG", f"Transfer the file again. {_EXPORT}")
PNG_TRAILING: Final = Rule("DCM036", _W, "Bytes after the PNG's end", "Remove what follows the IEND chunk.")
PNG_COLOUR: Final = Rule("DCM037", _E, "PNG is not grayscale", "Convert to grayscale with 8 or 16 bits, without alpha.")
PNG_DEPTH: Final = Rule("DCM038", _E, "PNG with fewer than 8 bits", "Export the image with 8 or 16 bits per pixel.")
PNG_ANIMATED: Final = Rule("DCM039", _E, "Animated PNG", "Upload each frame as an image of its own.")
EXTENSION: Final = Rule("DCM040", _W, "File name does not fit the content", "Name DICOM files .dcm and PNG files .png.")

# De-identification: PS3.15 Annex E, Basic Application Level Confidentiality Profile.
_REMOVE: Final = "De-identify with the Basic Profile of DICOM PS3.15 Annex E"
NAME: Final = Rule("PHI001", _E, "Name of a person", f"{_REMOVE}: remove or empty this element.")
IDENTIFIER: Final = Rule(
    "PHI002", _E, "Identifier of a patient, visit or order", f"{_REMOVE}: replace it with a code of your own."
)
BIRTH: Final = Rule("PHI003", _E, "Date of birth", f"{_REMOVE}: empty this element.")
DATE: Final = Rule(
    "PHI004",
    _E,
    "Date or time",
    f"{_REMOVE}: remove it, or shift all dates of a patient and set (0028,0303) to MODIFIED.",
)
PLACE: Final = Rule("PHI005", _E, "Institution, address or contact", f"{_REMOVE}: remove this element.")
DEVICE: Final = Rule("PHI006", _W, "Identity of a device", f"{_REMOVE}: remove it, or declare option 113109.")
TEXT: Final = Rule("PHI007", _W, "Free text", f"{_REMOVE}: remove it, or clean it and declare option 113105.")
CHARACTERISTIC: Final = Rule(
    "PHI008", _W, "Characteristic of the patient", f"{_REMOVE}: remove it, or declare option 113108."
)
PRIVATE: Final = Rule("PHI009", _E, "Private elements", f"{_REMOVE}: remove all elements of odd groups.")
AGE: Final = Rule("PHI010", _E, "Age above 89", "Write 089Y or 090Y for every patient older than 89.")
UNDECLARED: Final = Rule(
    "PHI011",
    _W,
    "De-identification is not declared",
    "De-identify, then set Patient Identity Removed (0012,0062) to YES and name the method in (0012,0064).",
)
BURNED_IN: Final = Rule(
    "PHI012", _E, "Text burned into the pixels", "Black the text out and set Burned In Annotation (0028,0301) to NO."
)
BURNED_IN_UNKNOWN: Final = Rule(
    "PHI013",
    _W,
    "Burned-in text is not ruled out",
    "Look for text in the pixels and set Burned In Annotation (0028,0301) to NO.",
)
ORIGINAL_UID: Final = Rule(
    "PHI014", _W, "Unique identifiers that lead back to the archive", f"{_REMOVE}: replace all instance UIDs."
)
SEQUENCE: Final = Rule("PHI015", _W, "Sequence that may identify a person", f"{_REMOVE}: remove this sequence.")
OVERLAY: Final = Rule("PHI016", _W, "Overlay or curve that may hold text", f"{_REMOVE}: remove overlays and curves.")
LIKE_A_NAME: Final = Rule(
    "PHI017",
    _W,
    "Replaced name that looks like a person's",
    "Check that the name is a code; write one without spaces and carets.",
)
PNG_TEXT: Final = Rule("PHI018", _E, "Text in a PNG", "Save the image without tEXt, zTXt, iTXt, eXIf and tIME chunks.")
FILE_NAME: Final = Rule(
    "PHI019", _E, "File name holds the patient's name or identifier", "Name files by number or by a code of your own."
)

# Pixels.
UNDECODABLE: Final = Rule("PIX001", _E, "Pixels cannot be decoded", _EXPORT)
PIXEL_LENGTH: Final = Rule("PIX002", _E, "Length of the pixel data does not fit the head", _EXPORT)
PIXEL_PADDING: Final = Rule("PIX003", _W, "More pixel data than the head announces", _EXPORT)
CODESTREAM: Final = Rule("PIX004", _E, "Compressed image differs from the head", _EXPORT)
CONSTANT: Final = Rule("PIX005", _E, "Constant image", "Remove the image, or export it again.")
CLIPPED: Final = Rule(
    "PIX006", _W, "Clipped image", "Export without clipping: raw values, or a wider window; check the collimation."
)
RANGE: Final = Rule("PIX007", _E, "Values beyond the bits stored", "Set Bits Stored to the bits that are used.")
FEW_LEVELS: Final = Rule("PIX008", _W, "Few grey levels", "Export the image with its full depth.")
BORDERS: Final = Rule("PIX009", _W, "Wide constant borders", "Crop the image to its exposed field.")
LOSSY: Final = Rule(
    "PIX010", _W, "Lossy compression", "Use lossless images where you can, and one way for all classes."
)
RESOURCES: Final = Rule(
    "PIX011",
    _E,
    "Needs more than a validator may use",
    "Export the image again, uncompressed; it may be made to do harm.",
)
CRASHED: Final = Rule("PIX012", _E, "A library crashes on the file", _EXPORT)

# The set. SET001 to SET099 are those of tables.
NO_DECODERS: Final = Rule(
    "SET101",
    _E,
    "The imaging libraries are not installed",
    "Install the extra: pip install 'luna[imaging]'.",
)
SAME_PIXELS: Final = Rule("SET103", _W, "The same pixels in several files", "Keep one of them.")
NEAR_PIXELS: Final = Rule("SET104", _W, "Nearly the same image", "Keep one of them, or all on one side of the split.")
INVERTED_COPY: Final = Rule("SET105", _W, "An inverted copy", "Keep one of them, or all on one side of the split.")
SAME_INSTANCE: Final = Rule(
    "SET106", _E, "Duplicate SOP Instance UID", "Give each image an SOP Instance UID of its own."
)
PATIENT_LEAK: Final = Rule(
    "SET107", _E, "The same patient in several parts of the split", "Split by patient, not by image."
)
IMAGE_LEAK: Final = Rule("SET108", _E, "The same image in several parts of the split", "Keep it in one part.")
CONTRADICTION: Final = Rule("SET109", _E, "The same image with different labels", "Correct the labels.")
NO_LABELS: Final = Rule("SET110", _E, "Labels file is missing or cannot be read", "Upload it as CSV in UTF-8.")
NO_COLUMN: Final = Rule("SET111", _E, "Column of the contract is missing", "Name columns as the contract does.")
UNKNOWN_FILE: Final = Rule("SET112", _E, "Label of a file that is not there", "Upload the file, or remove the row.")
UNLABELLED: Final = Rule("SET113", _E, "Image without a label", "Add a row for the file, or remove the file.")
LABELLED_TWICE: Final = Rule("SET114", _E, "Several rows for one file", "Keep one row for each file.")
EMPTY_LABEL: Final = Rule("SET115", _E, "Empty label", "Write a label, or remove the row and its file.")
SINGLE_IMAGE: Final = Rule("SET116", _W, "Class with one image", "Add images, or join the class with another.")
IMBALANCE: Final = Rule("SET117", _W, "Classes of very different size", "Add images of the rare class, or weight them.")
ONE_CLASS: Final = Rule("SET118", _E, "Only one class", "Add images of another class.")
LIKE_IDENTIFIERS: Final = Rule(
    "SET119", _W, "Labels look like identifiers", "Check label_column: nearly every row has a label of its own."
)
CONFOUNDED: Final = Rule(
    "SET120",
    _W,
    "Acquisition tells the class",
    "Mix devices and settings in each class, or balance them: a model would learn the device.",
)
MIXED_SCALES: Final = Rule(
    "SET121", _W, "Images of several photometric interpretations", "Convert all to MONOCHROME2 before training."
)
NO_PATIENTS: Final = Rule(
    "SET122",
    _I,
    "Patients are not known",
    "Keep a code per patient in (0010,0020) or name a patient column in the contract, or leaks cannot be found.",
)
NO_IMAGES: Final = Rule("SET123", _E, "No images", "Upload at least one DICOM or PNG file.")
BAD_ROW: Final = Rule("SET124", _E, "Row that cannot be read", "Write as many cells as the header has, in UTF-8.")
MISSING_CELL: Final = Rule("SET125", _E, "Empty cell", "Fill the cell, or remove the row.")

RULES: Final[tuple[Rule, ...]] = tuple(value for value in dict(globals()).values() if isinstance(value, Rule))
