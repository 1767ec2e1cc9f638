// Generated from tokens.toml by `python -m hallkit.screens.tokens`.
pragma Singleton
import QtQuick

QtObject {
    readonly property color paper: "#FAFAF7"
    readonly property color surface: "#FFFFFF"
    readonly property color ink: "#14213D"
    readonly property color muted: "#44506B"
    readonly property color line: "#C9D1DE"
    readonly property color edge: "#77839B"
    readonly property color primary: "#0B4F9C"
    readonly property color primaryPressed: "#083B75"
    readonly property color primaryTint: "#E8F0FA"
    readonly property color inverse: "#FFFFFF"
    readonly property color inverseMuted: "#DCE8F6"
    readonly property color done: "#176B3F"
    readonly property color doneTint: "#E6F2EB"
    readonly property color attention: "#8A4B00"
    readonly property color attentionTint: "#FDF1E0"
    readonly property color fault: "#A3211A"
    readonly property color faultTint: "#FBE9E7"
    readonly property color focus: "#FFB000"
    readonly property color scrim: "#B314213D"
    readonly property real typeCaption: 7
    readonly property real typeBody: 9
    readonly property real typeLead: 11
    readonly property real typeTitle: 15
    readonly property real typeDisplay: 24
    readonly property real typeLargeFactor: 1.45
    readonly property real typeLineHeight: 1.4
    readonly property string fontFamily: "Noto Sans CJK SC"
    readonly property int fontRegular: 400
    readonly property int fontMedium: 500
    readonly property int fontBold: 700
    readonly property real spaceUnit: 4
    readonly property real spaceMargin: 12
    readonly property real spaceGutter: 6
    readonly property real spaceGap: 4
    readonly property real spaceTarget: 20
    readonly property real spaceTargetLarge: 25
    readonly property real spaceRadius: 5
    readonly property real spaceBorder: 0.6
    readonly property real spaceFocusRing: 1.2
    readonly property real spaceReachSlack: 1.4
    readonly property real spaceSlip: 10
    readonly property int motionSlide: 180
    readonly property int motionFade: 160
    readonly property int motionWaiting: 400
}
