"""The members of UK Open Banking v4 account information (Read/Write API 4.0), as far as this gateway carries it.

`-` marks known members that are never given, because no field of the catalogue has them: sums over several accounts,
the postal address of statements, and the free-form `SupplementaryData`.
"""

TABLE = {
    "Answer": "Data:Data Links:Links Meta:Meta",
    "Data": "Account:Raw* Balance:Raw* Transaction:Raw* TotalValue:-",
    "Links": "Self:s First:s Prev:s Next:s Last:s",
    "Meta": "TotalPages:i FirstAvailableDateTime:s LastAvailableDateTime:s",
    "Account": (
        "AccountId:s Status:s StatusUpdateDateTime:s Currency:s AccountCategory:s AccountTypeCode:s Description:s"
        " Nickname:s OpeningDate:s MaturityDate:s SwitchStatus:s Account:CashAccount* StatementFrequencyAndFormat:-"
        " Servicer:Agent"
    ),
    "CashAccount": "SchemeName:s Identification:s Name:s LEI:s SecondaryIdentification:s",
    "Balance": (
        "AccountId:s CreditDebitIndicator:s Type:s DateTime:s Amount:Money CreditLine:CreditLine* LocalAmount:Money"
        " TotalAmount:-"
    ),
    "CreditLine": "Included:b Type:s Amount:Money",
    "Transaction": (
        "AccountId:s TransactionId:s TransactionReference:s StatementReference:s* CreditDebitIndicator:s Status:s"
        " TransactionMutability:s BookingDateTime:s ValueDateTime:s TransactionInformation:s AddressLine:s"
        " Amount:Money ChargeAmount:Money CurrencyExchange:Exchange BankTransactionCode:BankCode"
        " ProprietaryBankTransactionCode:OwnCode ExtendedProprietaryBankTransactionCodes:ExtendedCode*"
        " Balance:CashBalance MerchantDetails:Merchant CreditorAgent:Agent CreditorAccount:PartyAccount"
        " DebtorAgent:Agent DebtorAccount:PartyAccount CardInstrument:Card SupplementaryData:-"
        " CategoryPurposeCode:s PaymentPurposeCode:s UltimateCreditor:Agent UltimateDebtor:Agent"
    ),
    "Money": "Amount:s Currency:s SubType:s",
    "Exchange": (
        "SourceCurrency:s TargetCurrency:s UnitCurrency:s ExchangeRate:n ContractIdentification:s QuotationDate:s"
        " InstructedAmount:Money"
    ),
    "BankCode": "Code:s SubCode:s",
    "OwnCode": "Code:s Issuer:s",
    "ExtendedCode": "Code:s Issuer:s Description:s",
    "CashBalance": "CreditDebitIndicator:s Type:s Amount:Money",
    "Merchant": "MerchantName:s MerchantCategoryCode:s",
    "Agent": "SchemeName:s Identification:s Name:s LEI:s PostalAddress:Address",
    "PartyAccount": "SchemeName:s Identification:s Name:s SecondaryIdentification:s Proxy:Proxy",
    "Proxy": "Identification:s Code:s Type:s",
    "Card": "CardSchemeName:s AuthorisationType:s Name:s Identification:s",
    "Address": (
        "AddressType:s Department:s SubDepartment:s StreetName:s BuildingNumber:s BuildingName:s Floor:s UnitNumber:s"
        " Room:s PostBox:s TownLocationName:s DistrictName:s CareOf:s PostCode:s TownName:s CountrySubDivision:s"
        " Country:s AddressLine:s*"
    ),
}

# The members that linking and the person's download need. All others are skipped.
NEEDED = {
    "Answer": "Data:Data Links:Links",
    "Data": "Account:Raw* Balance:Raw* Transaction:Raw*",
    "Links": "Next:Raw",
    "Account": "AccountId:s Status:s AccountTypeCode:s Nickname:s Account:CashAccount*",
    "CashAccount": "Identification:s",
    "Balance": "DateTime:s CreditLine:CreditLine*",
    "CreditLine": "Type:s Amount:Money",
    "Money": "Amount:s",
    "Transaction": (
        "CreditDebitIndicator:s BookingDateTime:s TransactionInformation:s Amount:Money Balance:CashBalance"
        " BankTransactionCode:BankCode ProprietaryBankTransactionCode:BankCode MerchantDetails:Merchant"
    ),
    "CashBalance": "CreditDebitIndicator:s Amount:Money",
    "BankCode": "Code:s",
    "Merchant": "MerchantName:s",
}


def answer_of(kind: str) -> dict[str, str]:
    """The table for reading an answer with records of this type.

    Everything beside the list of records is skipped as text, so that all withheld members counted belong to records.
    """
    data = TABLE["Data"].replace(f"{kind}:Raw*", f"{kind}:{kind}*").replace(":-", ":Raw")
    return TABLE | {"Answer": "Data:Data Links:Raw Meta:Raw", "Data": data}
