// Physical sizes in pixels of this panel, and the person's choice of type size.
pragma Singleton
import QtQuick

QtObject {
    property real pxPerMm: 3.2
    property bool large: false
    property bool reducedMotion: false

    readonly property real typeScale: large ? Tokens.typeLargeFactor : 1
    readonly property int caption: type(Tokens.typeCaption)
    readonly property int body: type(Tokens.typeBody)
    readonly property int lead: type(Tokens.typeLead)
    readonly property int title: type(Tokens.typeTitle)
    readonly property int display: type(Tokens.typeDisplay)

    readonly property int target: mm(large ? Tokens.spaceTargetLarge : Tokens.spaceTarget)
    readonly property int button: mm(large ? Tokens.sizeButtonLarge : Tokens.sizeButton)
    readonly property int hair: mm(Tokens.spaceHair)
    readonly property int tight: mm(Tokens.spaceTight)
    readonly property int snug: mm(Tokens.spaceSnug)
    readonly property int unit: mm(Tokens.spaceUnit)
    readonly property int gutter: mm(Tokens.spaceGutter)
    readonly property int section: mm(Tokens.spaceSection)
    readonly property int margin: mm(Tokens.spaceMargin)
    readonly property int gap: mm(Tokens.spaceGap)
    readonly property int radius: mm(Tokens.spaceRadius)
    readonly property int radiusSmall: mm(Tokens.spaceRadiusSmall)
    readonly property int border: Math.max(1, mm(Tokens.spaceBorder))
    readonly property int dialog: mm(large ? Tokens.sizeDialogLarge : Tokens.sizeDialog)

    readonly property int slide: reducedMotion ? 0 : Tokens.motionSlide
    readonly property int fade: reducedMotion ? 0 : Tokens.motionFade

    function mm(length: real): int {
        return Math.round(length * pxPerMm);
    }

    // A size of type, or of what stands beside type and grows with it.
    function type(size: real): int {
        return Math.round(size * typeScale * pxPerMm);
    }

    function lineOf(size: int): int {
        return Math.round(size * Tokens.typeLineHeight);
    }
}
