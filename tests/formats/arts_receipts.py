"""A shop that gives ARTS Digital Receipts 2.0 with the Swedish extension, as its declaration would say it."""

from xml_documents import dataset_of, form_of

from gateway.catalogue import Dataset, Format

FORMAT = """
driver = "xml"
[[calls]]
name = "receipts"
dataset = "receipts"
records = "Transaction"
path = "/customers/{account}/receipts"
[records.Transaction]
at = "DigitalReceipt.Transaction"
instant = "ReceiptDateTime"
[namespaces]
"" = "http://www.nrf-arts.org/IXRetail/namespace/"
se = "http://www.sweretailstandard.se/schemas/namespace/se"
[around]
"DigitalReceipt/@MajorVersion" = "same"
"DigitalReceipt/@MinorVersion" = "same"
"DigitalReceipt/@FixVersion" = "same"
[required]
"LineItem/SequenceNumber" = "renumber"
"POSIdentity/POSItemID" = { instead = "0" }
[shapes]
Answer = "DigitalReceipt:DigitalReceipt"
DigitalReceipt = "@MajorVersion:s @MinorVersion:s @FixVersion:s Transaction:Transaction* se:ControlUnit:ControlUnit"
ControlUnit = "se:Text:-"
Transaction = '''@TypeCode:s @se:copy:b BusinessUnit:BusinessUnit WorkstationID:Workstation SequenceNumber:s
OperatorID:Operator CurrencyCode:s TrailerText:Trailer VATRegistrationNumber:s ReceiptDateTime:s ReceiptNumber:Coded
RetailTransaction:RetailTransaction se:HeaderText:Header se:BusinessUnit:Issuing se:Issuer:Issuer se:ReceiptCode:s'''
BusinessUnit = "UnitID:Unit Address:Address Telephone:Telephone Website:s"
Unit = "@Name:s .:s"
Address = "AddressLine:AddressLine City:s PostalCode:s Country:Country"
AddressLine = "@TypeCode:s .:s"
Country = "@Code:s .:s"
Telephone = "@TypeCode:s AreaCode:s LocalNumber:s ITUCountryCode:s"
Workstation = "@SerialNumber:s @Mode:s @TypeCode:s .:s"
Operator = "@OperatorType:s .:s"
Coded = "@TypeCode:s .:s"
Trailer = "Text:x*"
Header = "se:Text:x*"
Issuing = "UnitID:Unit Telephone:Telephone Website:s se:OrganisationID:s se:ServiceID:s"
Issuer = "@Id:s @IdType:s se:OrganisationID:s"
RetailTransaction = '''ItemCount:i LineItem:LineItem* Total:Total* TransactionLink:Link Customer:Customer
se:Receiver:Receiver se:Customer:SwedishCustomer se:ReceiptCodeLink:s'''
LineItem = "Sale:Sale Return:Return Tax:Tax Tender:Tender TenderChange:Change SequenceNumber:i"
Sale = '''@ItemType:s @TaxableFlag:b @ReturnableFlag:b POSIdentity:POSIdentity* Description:x UnitCostPrice:Price
ActualSalesUnitPrice:Price ExtendedAmount:Price DiscountAmount:n ExtendedDiscountAmount:n Quantity:Quantity
Tax:Tax'''
Return = '''POSIdentity:POSIdentity* Description:x UnitCostPrice:Price ActualSalesUnitPrice:Price ExtendedAmount:Price
Quantity:Quantity Tax:Tax Reason:x'''
POSIdentity = "@POSIDType:s POSItemID:s Qualifier:s"
Price = "@Currency:s @Action:s @Quantity:n @UnitOfMeasureCode:s .:n"
Quantity = "@Units:n @UnitOfMeasureCode:s .:n"
Tax = "TaxableAmount:Taxable Amount:Price Percent:n"
Taxable = "@Currency:s @TaxIncludedInTaxableAmountFlag:b .:n"
Tender = '''@TypeCode:s @TenderType:s Amount:Price GiftCard:GiftCard AmountAppliedToBill:Price Rounding:Price se:Text:x*
se:PaymentTerminal:Terminal'''
GiftCard = "CardNumber:s ExpirationDate:s CurrentBalance:n"
Terminal = "se:Text:TerminalText*"
TerminalText = "@Name:s .:x"
Change = "@TypeCode:s @TenderType:s Amount:Price AmountAppliedToBill:Price"
Total = "@TotalType:s @CurrencyCode:s @TypeCode:s .:n"
Link = "TransactionID:s"
Customer = "TelephoneNumber:Telephone"
SwedishCustomer = "TelephoneNumber:Telephone EMail:EMail se:Identifier:Receiver"
EMail = "EMailAddress:s"
Receiver = "@Type:s .:s"
"""
_LINES = ("LineItem/Sale", "LineItem/Return")
FIELDS = {
    "when": (
        "Transaction/ReceiptDateTime", "Transaction/RetailTransaction", "Transaction/CurrencyCode",
        "Transaction/@TypeCode", "Transaction/@se:copy", "LineItem/SequenceNumber", "RetailTransaction/LineItem",
    ),
    "shop": ("Transaction/BusinessUnit", "BusinessUnit/UnitID", "BusinessUnit/Telephone", "BusinessUnit/Website",
             "Transaction/VATRegistrationNumber", "Transaction/se:BusinessUnit", "Transaction/se:Issuer"),
    "address": ("BusinessUnit/Address",),
    "staff": ("Transaction/OperatorID", "Transaction/WorkstationID"),
    "ids": ("Transaction/SequenceNumber", "Transaction/ReceiptNumber", "Transaction/se:ReceiptCode",
            "RetailTransaction/TransactionLink", "RetailTransaction/se:ReceiptCodeLink"),
    "texts": ("Transaction/TrailerText", "Transaction/se:HeaderText"),
    "lines": (*_LINES, *(f"Sale/{name}" for name in (
        "@ItemType", "@TaxableFlag", "@ReturnableFlag", "POSIdentity", "Description", "Quantity")),
        "Return/POSIdentity", "Return/Description", "Return/Quantity", "Return/Reason",
        "POSIdentity/@POSIDType", "POSIdentity/Qualifier", "&RetailTransaction/ItemCount"),
    "codes": ("POSIdentity/POSItemID",),
    "prices": (*(f"{kind}/{name}" for kind in ("Sale", "Return") for name in (
        "UnitCostPrice", "ActualSalesUnitPrice", "ExtendedAmount")),
        "Sale/DiscountAmount", "Sale/ExtendedDiscountAmount"),
    "tax": ("LineItem/Tax", "Sale/Tax", "Return/Tax", "&RetailTransaction/ItemCount"),
    "payment": ("LineItem/Tender", "LineItem/TenderChange", "Tender/@TypeCode", "Tender/@TenderType", "Tender/Amount",
                "Tender/AmountAppliedToBill", "Tender/Rounding", "&RetailTransaction/ItemCount"),
    "cards": ("Tender/GiftCard", "Tender/se:Text", "Tender/se:PaymentTerminal"),
    "total": ("RetailTransaction/Total",),
    "person": ("RetailTransaction/Customer", "RetailTransaction/se:Receiver", "RetailTransaction/se:Customer"),
}  # fmt: skip
# words of the samples that only such a field lets out
CANARIES = {
    "shop": ("Superstore", "RS-0221", "SE11223344449", "1122334444"),
    "address": ("Köpstad",),
    "staff": ("Olle", "Lennart", "65252", "EA38329"),
    "ids": ("123789798712300", "02890093672714", "1281111260543493", "1411630411409366"),
    "texts": ("Spara kvittot", "Öppettider"),
    "lines": ("Bogserlina", "säkerhetsdetaljer", "articleGroup"),
    "codes": ("608794", "923048", "141141-272033"),
    "prices": ("79.00", "138.00", "119.70"),
    "tax": ("446.80", "111.70"),
    "payment": ("503.00", "55.50"),
    "cards": ("xxxxxxx1234", "V1000248", "0979", "A000000003101000"),
    "total": ("558.50", "406.30", "TransactionGrandAmount"),
    "person": ("2210228884", "someone@email.com", "+46(0)86126694"),
}
NEVER = ("RIHTT103801065896", "schemaLocation", "Alternative ways")
SAMPLES = ("sale", "return", "sample-1")


def receipts() -> tuple[Format, Dataset]:
    form = form_of(FORMAT)
    return form, dataset_of("receipts", FIELDS, ("when",), "Transaction/ReceiptDateTime")
