"""Every way the node says no: code, status, what happened and what to do, in plain Chinese.

Wording is data; no problem ever repeats what was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hallkit.errors import HallError
from hallkit.wire.affairs_api import FieldFault, Problem


class ProblemCode(StrEnum):
    REQUEST_INVALID = "request_invalid"
    REQUEST_UNREADABLE = "request_unreadable"
    KEY_MISSING = "idempotency_key_missing"
    KEY_INVALID = "idempotency_key_invalid"
    KEY_REUSED = "idempotency_key_reused"
    DEVICE_NOT_ALLOWED = "device_not_allowed"
    ITEM_UNKNOWN = "item_unknown"
    TICKET_UNKNOWN = "ticket_unknown"
    TICKET_NOT_SO = "ticket_not_so"
    WINDOW_UNKNOWN = "window_unknown"
    WINDOW_NOT_SO = "window_not_so"
    SERVICE_UNKNOWN = "service_unknown"
    SLOT_UNKNOWN = "slot_unknown"
    SLOT_FULL = "slot_full"
    APPOINTMENT_UNKNOWN = "appointment_unknown"
    APPOINTMENT_EXISTS = "appointment_exists"
    APPOINTMENT_NOT_SO = "appointment_not_so"
    CASE_UNKNOWN = "case_unknown"
    CASE_NOT_SO = "case_not_so"
    CASE_CHANGED = "case_changed"
    CASE_ELSEWHERE = "case_elsewhere"
    CASE_LOCKED = "case_locked"
    CASE_NOT_HERE = "case_not_here"
    WORDS_MISSING = "words_missing"
    IDENTITY_NEEDED = "identity_needed"
    ANSWERS_MISSING = "answers_missing"
    FORM_INCOMPLETE = "form_incomplete"
    CONTINUATION_UNKNOWN = "continuation_unknown"
    CONTINUATION_USED = "continuation_used"
    HOLDING_UNKNOWN = "holding_unknown"
    RATING_EXISTS = "rating_exists"
    RATING_NOT_YET = "rating_not_yet"
    RATED_UNKNOWN = "rated_unknown"
    CALL_BACK_UNKNOWN = "call_back_unknown"
    CALL_BACK_NOT_SO = "call_back_not_so"
    HELP_UNKNOWN = "help_unknown"
    HELP_NOT_SO = "help_not_so"
    LICENCE_UNKNOWN = "licence_unknown"
    LICENCE_NOT_SO = "licence_not_so"
    PERMIT_UNKNOWN = "permit_unknown"
    PERMIT_OVER = "permit_over"
    PERMIT_REFUSED = "permit_refused"
    PERMIT_UNSETTLED = "permit_unsettled"
    NOTHING_TO_SETTLE = "nothing_to_settle"
    VISIT_OTHER_PERSON = "visit_other_person"
    VISIT_OVER = "visit_over"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class _Wording:
    status: int
    title: str
    detail: str


_CALL_STAFF = "请联系大厅工作人员。"
_TRY_AGAIN = "请稍后再试;仍不行,请到导办台人工取号。"

_WORDING = {
    ProblemCode.REQUEST_INVALID: _Wording(
        422, "提交的内容不完整或格式不对", "请返回上一步核对后重新提交。"
    ),
    ProblemCode.REQUEST_UNREADABLE: _Wording(400, "提交的内容无法读取", "请重新提交。"),
    ProblemCode.KEY_MISSING: _Wording(
        400, "缺少防重复提交的编号", "请在请求头 Idempotency-Key 中带上本次操作的唯一编号。"
    ),
    ProblemCode.KEY_INVALID: _Wording(
        400, "防重复提交的编号不合规定", "编号为 8 到 128 位字母、数字或 . _ : - 符号。"
    ),
    ProblemCode.KEY_REUSED: _Wording(
        422, "同一编号已用于另一次提交", "内容有改动时,请换用新的编号重新提交。"
    ),
    ProblemCode.DEVICE_NOT_ALLOWED: _Wording(
        403, "本机没有办理此项操作的权限", "请到其他自助终端或人工窗口办理。"
    ),
    ProblemCode.ITEM_UNKNOWN: _Wording(
        404, "没有找到这个事项", "请返回重新选择事项,或到综合窗口咨询。"
    ),
    ProblemCode.TICKET_UNKNOWN: _Wording(404, "没有找到这张号票", "请核对号票,或到导办台查询。"),
    ProblemCode.TICKET_NOT_SO: _Wording(
        409, "这张号票现在不能这样处理", "请刷新后看号票现在的状态，再操作。"
    ),
    ProblemCode.WINDOW_UNKNOWN: _Wording(404, "没有这个窗口", "请核对窗口号。"),
    ProblemCode.WINDOW_NOT_SO: _Wording(
        409, "窗口现在不能这样操作", "先开窗口；窗口上还有人的，先办结、过号或者转走。"
    ),
    ProblemCode.SERVICE_UNKNOWN: _Wording(404, "没有这个业务", "请核对要转去的业务。"),
    ProblemCode.SLOT_UNKNOWN: _Wording(
        422, "这个时间不能预约", "请选今天以后两周内、上班时间里的时段。"
    ),
    ProblemCode.SLOT_FULL: _Wording(409, "这个时段约满了", "请换一个时段，或者当天来取号。"),
    ProblemCode.APPOINTMENT_EXISTS: _Wording(
        409, "您这一天已经约了这项业务", "要换时间的，先取消原来的预约。"
    ),
    ProblemCode.APPOINTMENT_UNKNOWN: _Wording(
        404, "没有找到您的预约", "请核对身份证；没有预约的，直接取号。"
    ),
    ProblemCode.APPOINTMENT_NOT_SO: _Wording(
        409, "这个预约现在不能这样处理", "预约当天才能签到；已经签到、取消或者过期的，请重新取号。"
    ),
    ProblemCode.CASE_UNKNOWN: _Wording(
        404, "没有查到这个办件", "请核对办件编号和身份证后四位，或者刷身份证查。"
    ),
    ProblemCode.CASE_NOT_SO: _Wording(
        409, "这个办件现在不能这样操作", "请刷新后看办件现在的进度，再操作。"
    ),
    ProblemCode.CASE_CHANGED: _Wording(
        409, "这个办件刚刚在别处改过", "请重新打开办件，看过新的内容再改。"
    ),
    ProblemCode.CASE_ELSEWHERE: _Wording(
        409, "这个办件已经转到别的机器上", "请在那台机器上接着办，或者刷身份证把它接回来。"
    ),
    ProblemCode.CASE_LOCKED: _Wording(
        409, "查错的次数太多", "请刷身份证查，或者过一个小时再用编号查。"
    ),
    ProblemCode.CASE_NOT_HERE: _Wording(
        409, "窗口上的号票不是这个办件的", "请刷新窗口，看清楚现在是哪一位。"
    ),
    ProblemCode.WORDS_MISSING: _Wording(
        422, "没有写明原因", "退回或者不予通过，要给群众写清楚原因。"
    ),
    ProblemCode.IDENTITY_NEEDED: _Wording(
        422, "还没有核验身份", "请把身份证放到读卡区；没带身份证的，取号到窗口办。"
    ),
    ProblemCode.ANSWERS_MISSING: _Wording(
        422, "还有问题没有回答完", "请回到上一步，把问题答完再提交。"
    ),
    ProblemCode.FORM_INCOMPLETE: _Wording(
        422, "表里还有没填好的地方", "请按每一项旁边的提示改好，再提交。"
    ),
    ProblemCode.CONTINUATION_UNKNOWN: _Wording(
        404, "这个接办码没有用了", "接办码十分钟内有效，请在原来的机器上重新生成。"
    ),
    ProblemCode.CONTINUATION_USED: _Wording(
        409, "这个接办码已经用过了", "每个接办码只能用一次，请在原来的机器上重新生成。"
    ),
    ProblemCode.HOLDING_UNKNOWN: _Wording(404, "没有存这份材料", "请刷新后再选。"),
    ProblemCode.RATING_EXISTS: _Wording(
        409, "这次办理已经评价过了", "一次办理评价一次；还有话要说，请告诉大厅工作人员。"
    ),
    ProblemCode.RATING_NOT_YET: _Wording(
        409, "这次办理还没有办结，暂时不能评价", "请等窗口办结以后再评价。"
    ),
    ProblemCode.RATED_UNKNOWN: _Wording(
        404, "没有找到要评价的这次办理", "请核对号票；仍不行，请告诉大厅工作人员。"
    ),
    ProblemCode.CALL_BACK_UNKNOWN: _Wording(404, "没有这件回访", "请刷新后重新选择。"),
    ProblemCode.CALL_BACK_NOT_SO: _Wording(
        409, "这件回访现在不能这样处理", "请刷新后看是谁在办、办到哪一步，再操作。"
    ),
    ProblemCode.HELP_UNKNOWN: _Wording(404, "没有找到这次呼叫", "请重新按“呼叫帮办”。"),
    ProblemCode.HELP_NOT_SO: _Wording(
        409, "这次呼叫现在不能这样处理", "可能已经有人去了，请刷新后再看。"
    ),
    ProblemCode.LICENCE_UNKNOWN: _Wording(
        404, "您名下没有这本证照", "请刷新后再选；不对的，到窗口问一问。"
    ),
    ProblemCode.LICENCE_NOT_SO: _Wording(
        409, "这本证照过期了，或者已经注销", "要接着用的，先办延续或者补办。"
    ),
    ProblemCode.PERMIT_UNKNOWN: _Wording(404, "没有这份打印文件", "请重新选证照，再打印。"),
    ProblemCode.PERMIT_OVER: _Wording(
        409, "这份打印文件已经用过，或者过期了", "请重新选证照，再打印。"
    ),
    ProblemCode.PERMIT_REFUSED: _Wording(
        409, "打印文件和您本人对不上，没有打印，文件已经销毁", "请取回身份证，从头再来一次。"
    ),
    ProblemCode.PERMIT_UNSETTLED: _Wording(
        409,
        "这本证照上一次打印还没有结果",
        "正在打印的，请等打完；不清楚有没有打出来的，请到窗口让工作人员核对。",
    ),
    ProblemCode.NOTHING_TO_SETTLE: _Wording(404, "没有要核对的打印", "可以直接到机器上打印。"),
    ProblemCode.VISIT_OTHER_PERSON: _Wording(
        409, "这一次办理换了人，没有打印，文件已经销毁", "请退出，每个人刷自己的身份证从头办。"
    ),
    ProblemCode.VISIT_OVER: _Wording(409, "这一次办理已经结束", "请回首页，刷身份证重新办。"),
    ProblemCode.NOT_FOUND: _Wording(404, "没有这个地址", _CALL_STAFF),
    ProblemCode.METHOD_NOT_ALLOWED: _Wording(405, "这个地址不支持这种操作", _CALL_STAFF),
    ProblemCode.BODY_TOO_LARGE: _Wording(413, "提交的内容太大", "请减少内容后重新提交。"),
    ProblemCode.STORE_UNAVAILABLE: _Wording(503, "业务系统暂时无法保存", _TRY_AGAIN),
    ProblemCode.INTERNAL: _Wording(500, "业务系统出现故障", _TRY_AGAIN),
}

_BY_STATUS = {
    404: ProblemCode.NOT_FOUND,
    405: ProblemCode.METHOD_NOT_ALLOWED,
    413: ProblemCode.BODY_TOO_LARGE,
}


class Refused(HallError):
    """The request cannot be served; the API answers with the problem of this code."""

    def __init__(self, problem_code: ProblemCode, fields: Sequence[FieldFault] = ()) -> None:
        self.problem_code = problem_code
        self.fields = tuple(fields)
        super().__init__(problem_code)


def problem(code: ProblemCode, fields: Sequence[FieldFault] = ()) -> Problem:
    wording = _WORDING[code]
    return Problem(
        title=wording.title,
        status=wording.status,
        code=code.value,
        detail=wording.detail,
        fields=tuple(fields),
    )


def code_for_status(status: int) -> ProblemCode:
    """The problem behind an HTTP status that a library answered on its own."""
    if status >= 500:
        return ProblemCode.INTERNAL
    return _BY_STATUS.get(status, ProblemCode.REQUEST_UNREADABLE)
