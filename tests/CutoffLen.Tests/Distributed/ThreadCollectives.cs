using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using CutoffLen.Distributed;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Distributed;

/// <summary>Ranks that are threads of this process. Sums are over ranks in order, in float32, of float64 in float64.</summary>
internal sealed class ThreadCollectives : ICollectives
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1); // a rank may wait; else it calls what others do not

    private readonly Group group;

    private int splits;

    private ThreadCollectives(Group group, int rank) => (this.group, Rank) = (group, rank);

    public int Rank { get; }

    public int Size => group.Slots.Length;

    /// <summary>Bytes of gathered and scattered tensors that other ranks sent to this one.</summary>
    public long ReceivedBytes { get; private set; }

    /// <summary>What a body gives on each of so many ranks. The first fault of any ends all.</summary>
    public static T[] Run<T>(int size, Func<ThreadCollectives, T> body)
    {
        using var stop = new CancellationTokenSource();
        using var group = new Group(size, stop.Token);
        var (results, fault) = (new T[size], (Exception?)null);
        var threads = Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            try
            {
                results[rank] = body(new ThreadCollectives(group, rank));
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref fault, e, null);
                stop.Cancel();
            }
        }) { IsBackground = true }).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        if (fault is not null)
        {
            ExceptionDispatchInfo.Throw(fault);
        }

        return results;
    }

    public void AllReduce(Tensor flat) => Exchange(flat, all =>
    {
        using var scope = NewDisposeScope();
        var sum = Sum(all);
        group.Wait(); // until all have read
        flat.copy_(sum);
    });

    public void ReduceScatter(Tensor flat, Tensor shard)
    {
        Exchange(flat, all =>
        {
            using var scope = NewDisposeScope();
            shard.copy_(Sum(all.Select(one => one.narrow(0, Rank * shard.shape[0], shard.shape[0]))));
        });
        ReceivedBytes += (Size - 1) * shard.numel() * shard.ElementSize;
    }

    public void AllGather(Tensor shard, Tensor flat)
    {
        Exchange(shard, all =>
        {
            using var scope = NewDisposeScope();
            for (var rank = 0; rank < Size; rank++)
            {
                flat.narrow(0, rank * shard.shape[0], shard.shape[0]).copy_(all[rank]);
            }
        });
        ReceivedBytes += (Size - 1) * shard.numel() * shard.ElementSize;
    }

    public void Broadcast(Tensor flat, int root) => Exchange(flat, all =>
    {
        if (Rank != root)
        {
            flat.copy_(all[root]);
        }
    });

    public void Barrier() => group.Wait();

    public ICollectives Split(int name)
    {
        using var own = tensor((double)name);
        var names = new double[Size];
        Exchange(own, all => names = [.. all.Select(one => one.item<double>())]);
        int[] members = [.. Enumerable.Range(0, Size).Where(rank => (int)names[rank] == name)];
        var part = group.Parts.GetOrAdd((splits++, name), _ => new Group(members.Length, group.Stop));
        return new ThreadCollectives(part, Array.IndexOf(members, Rank));
    }

    public void Dispose() { }

    private static Tensor Sum(IEnumerable<Tensor> tensors) => tensors.Select(tensor => tensor.to(tensor.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32, copy: true)).Aggregate((sum, next) => sum.add_(next));

    /// <summary>Shows a tensor to all ranks, who read those of all.</summary>
    private void Exchange(Tensor own, Action<Tensor[]> read)
    {
        using var noGrad = no_grad();
        group.Slots[Rank] = own;
        group.Wait();
        read(group.Slots);
        group.Wait();
    }

    private sealed class Group(int size, CancellationToken stop) : IDisposable
    {
        private readonly Barrier barrier = new(size);

        public Tensor[] Slots { get; } = new Tensor[size];

        public ConcurrentDictionary<(int Split, int Name), Group> Parts { get; } = [];

        public CancellationToken Stop => stop;

        public void Wait()
        {
            if (!barrier.SignalAndWait(Longest, stop))
            {
                throw new TimeoutException("a rank waits for others that do not come");
            }
        }

        public void Dispose()
        {
            foreach (var part in Parts.Values)
            {
                part.Dispose();
            }

            barrier.Dispose();
        }
    }
}
