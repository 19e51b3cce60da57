import os
import machine, collections, atexit
import gateway.app, gateway.consent.deciding, gateway.proxy.standing, gateway.proxy.uses, gateway.proxy.windows, gateway.sectors.bank.plan, gateway.proxy.admit, gateway, gateway.proxy.grants
C=collections.Counter()
orig=machine.Town._reads
def r(self,a,t,p,d,ref,e):
    C[('read',)+e]+=1; return orig(self,a,t,p,d,ref,e)
machine.Town._reads=r
o2=machine.Town._keeps
def k(self,*a): C['keeps']+=1; return o2(self,*a)
machine.Town._keeps=k
o3=machine.Fort.refresh
def f(self,*a):
    x=o3(self,*a); C[('refresh',x.status_code)]+=1; return x
machine.Fort.refresh=f
exec(os.environ.get("MUT",""))
from test_state_machine import test_what_is_read_is_what_the_terms_allow
def test_zzz(): print("COUNTS", C)
