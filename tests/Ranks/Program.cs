// Ranks: checks the collectives of the ranks that it is started as against plain arithmetic, with pieces smaller than the
// tensors. Every rank prints what is wrong; rank 0 prints "N checks" at the end. Exit code 1 where something is wrong.
using CutoffLen.Common;
using CutoffLen.Distributed;
using static TorchSharp.torch;

Environment.SetEnvironmentVariable("TERM", "dumb"); // as in the program
const int Shard = 23; // elements: some pieces are whole, the last is not
using var world = World.Join();
using var scope = NewDisposeScope();
var (rank, size, checks, faults) = (world.Ranks.Rank, world.Ranks.Size, 0, 0);
foreach (var pieceElements in new[] { 1, 7, 1 << 20 })
{
    var ranks = world.InPieces(pieceElements);
    foreach (var dtype in new[] { ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float64 })
    {
        // Element i of rank r is r + 1 + i % 5, small whole numbers that every dtype holds.
        var sum = Numbers(i => (size * (size + 1) / 2) + (size * (i % 5)));
        var own = Numbers(i => rank + 1 + (i % 5)).to(dtype);
        Check($"all-reduce {dtype}", sum, Changed(own.clone(), ranks.AllReduce));

        var shard = empty([Shard], dtype == ScalarType.BFloat16 ? ScalarType.Float32 : dtype);
        var kept = own.clone();
        ranks.ReduceScatter(own, shard);
        Check($"reduce-scatter {dtype}", sum.narrow(0, rank * Shard, Shard), shard);
        Check($"reduce-scatter keeps {dtype}", kept, own);

        ranks.ReduceScatter(own, own.narrow(0, rank * Shard, Shard));
        ranks.AllGather(own.narrow(0, rank * Shard, Shard), own); // in place, as weights are
        Check($"all-gather {dtype}", sum, own);

        Check($"broadcast {dtype}", Numbers(i => size + (i % 5)), Changed(kept, flat => ranks.Broadcast(flat, size - 1)));
    }

    // In bfloat16, 256 + 1 is 256. The sum of 256, 1, 1, ... must not lose the ones.
    var parts = full([5], rank == 0 ? 256 : 2, ScalarType.BFloat16);
    Check("bfloat16 is summed in float32", full([5], 256 + (2 * (size - 1))), Changed(parts, ranks.AllReduce));

    var half = ranks.Split(rank % 2);
    var members = Enumerable.Range(0, size).Where(other => other % 2 == rank % 2).ToList();
    Check("split", tensor(new[] { (float)members.IndexOf(rank), members.Count, members.Sum() }), tensor(new[] { half.Rank, half.Size, (float)half.Sum(rank) }));
    half.Dispose();

    var bytes = tensor(Enumerable.Range(0, Shard).Select(i => (byte)((rank * 40) + i)).ToArray());
    var all = empty([size * Shard], ScalarType.Byte);
    ranks.AllGather(bytes, all);
    Check("bytes", tensor(Enumerable.Range(0, size * Shard).Select(i => (float)((i / Shard * 40) + (i % Shard))).ToArray()), all);
}

var group = world.Ranks;
True("texts", group.Gather(new string('ä', 3 * rank)).Select(text => text.Length).SequenceEqual(Enumerable.Range(0, size).Select(other => 3 * other)));
True("any", group.Any(rank == size - 1) && !group.Any(false));
True("exact sums", group.Sum(rank == 1 ? Math.PI : 0) == Math.PI);
True("from the first", group.FromFirst(() => [7, 8, (byte)rank]).SequenceEqual(new byte[] { 7, 8, 0 }));
True("what fails on the first fails on all", Fails(() => group.OnFirst(() => throw new UserException("no"))) == (rank == 0 ? "no" : "rank 0 could not go on"));
True("the same facts", Fails(() => group.RequireSame(["a 1", "b 2"])) is null);
True("other facts", Fails(() => group.RequireSame(["a 1", $"b {rank / (size - 1)}"])) is { } fault && fault.Contains($"ranks 0 and {size - 1} ", StringComparison.Ordinal) && fault.Contains("b 0, and b 1", StringComparison.Ordinal));
group.Barrier();
if (rank == 0)
{
    Console.WriteLine($"{checks} checks");
}

return faults == 0 ? 0 : 1;

Tensor Numbers(Func<int, float> of) => tensor(Enumerable.Range(0, size * Shard).Select(of).ToArray());

Tensor Changed(Tensor flat, Action<Tensor> change)
{
    change(flat);
    return flat;
}

void Check(string what, Tensor expected, Tensor actual) =>
    True(what, expected.to(ScalarType.Float64).eq(actual.to(ScalarType.Float64)).all().item<bool>());

void True(string what, bool isTrue)
{
    checks++;
    if (!isTrue)
    {
        faults++;
        Console.WriteLine($"rank {rank} of {size}: {what} is wrong");
    }
}

string? Fails(Action work)
{
    try
    {
        work();
        return null;
    }
    catch (UserException fault)
    {
        return fault.Message;
    }
}
