import subprocess,sys,os,re,glob
root=sys.argv[1]
objs=glob.glob(root+'/module/*.o')+glob.glob(root+'/module/*/*.o')
defs={};und={}
for o in objs:
    n=os.path.relpath(o,root+'/module')[:-2]
    if n in('iouring2',) or n.endswith('.mod'): continue
    out=subprocess.run(['nm',o],capture_output=True,text=True).stdout
    for l in out.splitlines():
        p=l.split()
        if len(p)==2 and p[0]=='U': und.setdefault(n,set()).add(p[1])
        elif len(p)==3 and p[1] in 'TDBRWVCGS': defs[p[2]]=n
g={}
for n,us in und.items():
    for u in us:
        if u in ('io2_ops','io2_ring_fops'): continue
        d=defs.get(u)
        if d and d!=n: g.setdefault(n,{}).setdefault(d,set()).add(u)
# SCC
idx={};low={};st=[];on=set();out=[];c=[0]
def sc(v):
    idx[v]=low[v]=c[0];c[0]+=1;st.append(v);on.add(v)
    for w in g.get(v,{}):
        if w not in idx: sc(w);low[v]=min(low[v],low[w])
        elif w in on: low[v]=min(low[v],idx[w])
    if low[v]==idx[v]:
        comp=[]
        while True:
            w=st.pop();on.discard(w);comp.append(w)
            if w==v:break
        out.append(comp)
for v in sorted(set(und)|set(defs.values())):
    if v not in idx: sc(v)
for comp in out: print(len(comp),sorted(comp))
if len(sys.argv)>2:
    big=max(out,key=len)
    for v in sorted(big):
        for w in sorted(g.get(v,{})):
            if w in big: print(v,'->',w,' '.join(sorted(g[v][w])))
