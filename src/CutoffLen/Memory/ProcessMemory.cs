namespace CutoffLen.Memory;

/// <summary>
/// What a run takes beside its tensors. On the CPU measured; on a GPU a cautious estimate: the
/// CUDA context with the kernels it loads and cuBLAS's workspaces, and the holes of torch's caching allocator.
/// </summary>
internal static class ProcessMemory
{
    private const long Process = 240_000_000; // the runtime, libtorch, oneDNN's code and this program
    private const long CudaContext = 1_000_000_000;
    private const double HeapHoles = 0.5; // of the bytes that come and go; glibc's heap does not fill every hole with aligned blocks
    private const double CacheHoles = 0.05;

    /// <summary>In host memory, beside a GPU: the process with CUDA's libraries loaded.</summary>
    public static MemoryPart Beside { get; } = new("process with CUDA's libraries", 3_000_000_000);

    /// <summary>On the model's device.</summary>
    /// <param name="settings">The run.</param>
    /// <param name="staying">What is there from its beginning to its end.</param>
    /// <param name="passing">What a step takes and gives back.</param>
    public static MemoryPart OnDevice(MemorySettings settings, IReadOnlyList<MemoryPart> staying, IReadOnlyList<MemoryPart> passing) => settings.OnGpu
        ? new("CUDA context and allocator", CudaContext + (long)(CacheHoles * (MemoryPlan.Peak(staying) + MemoryPlan.Peak(passing))))
        : new("process and heap", Process + (long)(HeapHoles * MemoryPlan.Peak(passing)));
}
